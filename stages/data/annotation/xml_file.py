"""A pair's XML file, judged."""

from typing import NamedTuple, Optional

from lxml import etree

from stages.data.annotation import voc
from stages.data.findings import Findings
from stages.data.pairing.pairing import Folders, Pair


class PairXml(NamedTuple):
    """``root`` is None for a pair without XML, and for one whose XML is empty, if that counts as none."""

    root: Optional[etree._Element]


def load(folders: Folders, pair: Pair, findings: Findings) -> Optional[PairXml]:
    """The XML of a pair, or None if what is wrong with it makes the pair unusable.

    Raises:
        BadInput: a finding whose policy is to fail.
    """
    if pair.xml is None:
        return PairXml(None)
    try:
        return PairXml(voc.tree(folders.xml(pair.xml)))
    except voc.Empty as error:
        return PairXml(None) if findings.fixes("empty_xml", pair.xml, str(error)) else None
    except voc.Damaged as error:
        findings.fixes("damaged_xml", pair.xml, str(error), (None, error.line))
    return None
