"""Maps of what a model looked at, each from the record that capturing made."""
