"""Synthetic chest radiographs in CheXpert's own layout: the data of the demo."""
