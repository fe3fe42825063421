"""Objectives that let unlabelled images teach the generator."""
