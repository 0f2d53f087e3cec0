"""SAM 2 as a matting model: the first mask of an object in, its alpha on every frame out."""
