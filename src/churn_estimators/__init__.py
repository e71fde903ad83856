"""The model object: everything of this project that a logged model needs to be loaded and called."""
