"""Datasets of other tools: read into a plain model and written as PASCAL VOC, and VOC written as COCO."""
