"""Where a run of ``records`` keeps its accounts."""

from typing import NamedTuple

from stages.data.dataset_summary import DatasetSummary
from stages.data.finding_log import FindingLog
from stages.data.losses import Losses


class Accounts(NamedTuple):
    """What went into the records and what did not, what was found, and what of it is a loss."""

    dataset: DatasetSummary
    log: FindingLog
    losses: Losses
