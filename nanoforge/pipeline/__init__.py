"""What is built, in which order, and why: the stage table, recipes, the plan, and its walk."""
