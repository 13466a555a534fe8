"""Trainings and their versions, detection, evaluation on held-out images, and splitting off such images."""
