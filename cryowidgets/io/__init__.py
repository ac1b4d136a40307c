"""Files of the field: movies, images, stars, and what microscopes write beside them."""
