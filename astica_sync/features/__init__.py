"""Numbers that describe an image, and a classifier on them that is trained within a second, all on this machine.

They serve a preview of what a data set would teach, and the search for wrong labels. They are not the service's model.
"""
