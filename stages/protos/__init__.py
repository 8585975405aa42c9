"""Files in protobuf's text format as people have them: pipeline.config and label map (environment train)."""
