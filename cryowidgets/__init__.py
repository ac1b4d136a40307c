"""Live cryo-EM processing in Jupyter."""
