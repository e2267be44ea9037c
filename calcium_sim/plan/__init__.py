"""A model lowered to arrays and index tables: what the schemes build their steps from. Nothing numerical is chosen here."""
