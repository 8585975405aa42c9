"""Every kind of finding that a dataset can give: what it is, what can be done about it, and how to mend the data.

``fail`` stops with the finding as the error. ``drop`` leaves out what the kind is about: a picture with its XML, or one
object. ``fix`` mends it the one way that is not ambiguous; a finding that cannot be mended so is dropped.

Where the place of an object is not known, the picture goes and not the object alone: the object would still be seen,
and a detector learns from an unlabelled one that such a thing is background.

Standard library only, Python 3.6: the host, which makes docs/findings.md of this table, imports it.
"""

from typing import Dict, NamedTuple, Optional

FAIL, DROP, FIX = "fail", "drop", "fix"


class Kind(NamedTuple):
    """A kind of finding.

    Attributes:
        about: ``picture`` or ``object``: what ``drop`` leaves out.
        meaning: what was found.
        example: how it looks in a dataset.
        fix: what ``fix`` does, None where nothing is unambiguous; behind a semicolon, when it does not.
        default: the policy where ``records.findings`` names none.
        remedy: what to do about it; the last sentence of every finding of the kind.
    """

    about: str
    meaning: str
    example: str
    fix: Optional[str]
    default: str
    remedy: str


KINDS: Dict[str, Kind] = {
    # Photos and XML files finding each other
    "no_image": Kind(
        "picture",
        "an XML file without its photo",
        "`a.xml` without `a.jpg`",
        None,
        DROP,
        "Put the photo there under the name that the XML has or tells, or remove the XML",
    ),
    "no_xml": Kind(
        "picture",
        "a photo without XML: unlabelled, or without objects? Nobody can tell",
        "`a.jpg` without `a.xml`",
        "use it as a background picture without objects",
        DROP,
        'Label it; if there is nothing to label in such photos, set records.findings = { no_xml = "fix" }',
    ),
    "same_name": Kind(
        "picture",
        "several photos in one place that one XML file could mean",
        "`a.jpg` and `a.png` beside `a.xml`",
        "take the one that the XML's `<filename>` names",
        FIX,
        "Remove the photo that was not labelled, or give it another name",
    ),
    "ambiguous_name": Kind(
        "picture",
        "photos and XML files of one name in several folders, with nothing that tells which belong together",
        "`x/1/a.jpg` and `x/2/a.jpg`, but one `y/a.xml`",
        None,
        DROP,
        "Give each XML file the name of its photo, and the same subfolder; of several for one photo make one",
    ),
    "unread_format": Kind(
        "picture",
        "a photo in a format that is not read",
        "`a.heic`, `a.gif`",
        None,
        DROP,
        "Convert it to JPEG or PNG under the same name, for instance with ImageMagick's `mogrify -format jpg`",
    ),
    # XML files as a whole
    "damaged_xml": Kind(
        "picture",
        "XML that cannot be read, or is not a VOC annotation",
        "a file cut off by a full disk",
        None,
        DROP,
        "Mend that, take the XML from a backup, or label the photo anew",
    ),
    "empty_xml": Kind(
        "picture",
        "an XML file without contents: a mark for a photo without objects, or lost?",
        "`a.xml` with 0 bytes",
        "use the photo as a background picture",
        DROP,
        'If such files mark photos without objects, set records.findings = { empty_xml = "fix" }',
    ),
    "no_objects": Kind(
        "picture",
        "an XML without any `<object>`",
        "a photo without objects, or an export that lost its polygons",
        "use the photo as a background picture, as VOC means it; not if a box or polygon stands outside of any object",
        FIX,
        'If there are objects in such photos, label them, or set records.findings = { no_objects = "drop" }',
    ),
    "not_in_split": Kind(
        "picture",
        "a picture that none of the lists or folders of the dataset's own split names",
        "`a.jpg`, which is in neither `train.txt` nor `val.txt`",
        "let it go to training or validation by chance",
        DROP,
        'Add it to a list or move it into a folder of the split, or set records.split = "hash"',
    ),
    "leak": Kind(
        "picture",
        "a picture to train on that is nearly the same as one to validate or test with, by the dataset's own split",
        "two copies of a photo that Roboflow made, one in `train`, one in `valid`",
        "leave it in, as the split says",
        DROP,
        'Move it to the same side, or let Nanoforge split by records.split = "hash"',
    ),
    # Photos
    "unreadable_image": Kind(
        "picture",
        "a photo that is empty, cut off or not a picture that can be read",
        "a JPEG without its second half",
        None,
        DROP,
        "Take the photo from a backup, or save it anew as JPEG or PNG",
    ),
    "damaged_picture": Kind(
        "picture",
        "a photo in which data is missing, as its decoder warns: the rest is grey or shifted",
        "a JPEG with an end, but without its middle",
        "use it as it was decoded",
        DROP,
        "Take the photo from a backup, or remove it with its XML",
    ),
    "large_image": Kind(
        "picture",
        "a photo of more than dataset.max_megapixels: what it unpacks to would fill the memory",
        "a map of 40000x40000 pixels",
        None,
        DROP,
        "Raise dataset.max_megapixels if there is memory for it, or shrink the photo",
    ),
    "wrong_suffix": Kind(
        "picture",
        "a photo in another format than its name says",
        "a PNG named `a.jpg`",
        "read it as what it is",
        FIX,
        "Other programs may stumble over it: give the file the suffix of its format",
    ),
    "deep_picture": Kind(
        "picture",
        "a photo of 16 bits a channel, of which fewer may be used",
        "12 bits of an industrial camera in a 16-bit PNG",
        "scale its real range (10, 12, 14 or 16 bits) to 8 bits",
        FIX,
        "If it looks too dark or too bright, save the photos with 8 bits a channel, as they are to look",
    ),
    "several_pictures": Kind(
        "picture",
        "a file that holds several pictures, of which only the first is read",
        "a TIFF of several pages, an animated PNG",
        "use the first, which labelling tools show",
        FIX,
        "If another one was labelled, save that as a file of its own under the name that the XML has",
    ),
    "size_mismatch": Kind(
        "picture",
        "a size in the XML unlike the photo's, upright or as stored",
        "photos shrunk after labelling",
        "scale the boxes to the photo if its shape is the same or the XML gives no size",
        FIX,
        'Correct the XML\'s <size>, or set dataset.sizes = "photo" if the boxes are right on the photo as it is',
    ),
    "orientation_unclear": Kind(
        "picture",
        "an EXIF orientation that leaves the size as it is (upside down or mirrored), so that the XML does not tell"
        " which way its boxes were drawn",
        "a photo taken upside down",
        "take them as drawn on the upright photo, as labelling tools show it",
        FIX,
        "Look whether the boxes are right; else save the photo upright and without EXIF, and label it anew",
    ),
    # The class and the place of an object
    "no_class": Kind(
        "picture",
        "an object whose class is not told: no `<name>`, or several that differ",
        "`<object><name></name>…</object>`",
        None,
        DROP,
        "Write its class into its <name>, or remove the <object>",
    ),
    "no_box": Kind(
        "picture",
        "an object without a box, or without one of its numbers",
        "`<object><name>cone</name></object>`, a `<bndbox>` without `<ymax>`",
        None,
        DROP,
        "Draw its box, or remove the <object>",
    ),
    "other_geometry": Kind(
        "picture",
        "an object placed by something else than a `<bndbox>` with xmin, ymin, xmax, ymax",
        "`<robndbox>` with cx, cy, w, h, angle; `<polygon>`; corners x0, y0 to x3, y3",
        "take the box that encloses it; not where there is doubt about it",
        DROP,
        "Export boxes (<bndbox>), or take those that enclose, where there are some, by records.findings ="
        ' { other_geometry = "fix" }',
    ),
    "unreadable_number": Kind(
        "picture",
        "an object with a coordinate that is no number, or not clearly one",
        "`<xmin>12px</xmin>`, `<xmin>nan</xmin>`, `<xmin>1,234</xmin>`",
        None,
        DROP,
        "Correct the number in the XML",
    ),
    "decimal_comma": Kind(
        "picture",
        "a coordinate with a decimal comma",
        "`<xmin>12,5</xmin>`",
        "read the comma as a decimal point; 1,234 may be a thousand and is an `unreadable_number`",
        FIX,
        "Write numbers with a point, as other programs expect them",
    ),
    "relative_box": Kind(
        "picture",
        "a box with all its numbers within 0 to 1, among boxes in pixels",
        "`<xmin>0.25</xmin> … <ymax>0.75</ymax>`",
        None,
        DROP,
        'Write it in pixels; if all boxes of the dataset are so, set dataset.boxes = "relative"',
    ),
    "rotated_box": Kind(
        "picture",
        "a box with a rotation, as CVAT writes it",
        "`<attribute><name>rotation</name><value>45.0</value></attribute>`",
        "take the box that encloses the rotated one; not where its angle may be in another unit than degrees",
        FIX,
        "Nothing needs to be done if the enclosing box is good enough; else draw a box without rotation",
    ),
    "flipped_box": Kind(
        "picture",
        "a box whose minimum is greater than its maximum",
        "xmin 90, xmax 10",
        "swap the two",
        FIX,
        "Exchange the two numbers in the XML",
    ),
    "outside_box": Kind(
        "picture",
        "a box that reaches outside the photo",
        "xmax 1930 in a photo of 1920 pixels",
        "cut it at the edge; if nothing of it is inside, the picture goes",
        FIX,
        "Draw the box inside the photo, or check that the XML belongs to it",
    ),
    "many_boxes": Kind(
        "picture",
        "an object with several boxes",
        "two `<bndbox>` in one `<object>`",
        "make one object of each box",
        FIX,
        "Give each box an <object> of its own, as other programs read the first only",
    ),
    "near_class": Kind(
        "picture",
        "an object of a class that is not listed, but differs from a listed one in capitals, blanks, underscores or"
        " hyphens only",
        "`Traffic_Light`, where dataset.classes has `traffic light`",
        "take it for the listed one; not where it is near to two of them",
        DROP,
        'Map the name with dataset.aliases, or all such names by records.findings = { near_class = "fix" }',
    ),
    # Objects that are left out alone: they are not asked for, or there is nothing to learn from them
    "unknown_class": Kind(
        "object",
        "an object of a class that is not listed: to the detector it is background",
        "`tree`, where dataset.classes has `cone` only",
        None,
        DROP,
        "If it is meant, add it to dataset.classes, or map it with dataset.aliases",
    ),
    "empty_box": Kind(
        "object",
        "a box without area, as a stray click leaves it",
        "xmin 10, xmax 10",
        None,
        DROP,
        "Draw the box anew, or remove the <object>",
    ),
    "small_box": Kind(
        "object",
        "a box under 3 pixels wide or high at training size: nothing to learn, and a cause of NaN losses",
        "a bird of 12 pixels in a photo of 4000, at 300",
        None,
        DROP,
        "Raise model.input_size, or cut the photos into tiles",
    ),
    "duplicate_object": Kind(
        "object",
        "an object that an earlier one repeats, class and box",
        "the same `<object>` twice",
        None,
        DROP,
        "Nothing is lost by leaving it out; remove it from the XML",
    ),
}
