"""Which images show the same picture: saved again, scaled, lighter, cropped, mirrored, with bars or with a watermark.

Needs numpy alone and opens no image: it gets small rasters of images that others have opened.
"""
