"""Photos and XML files finding each other."""
