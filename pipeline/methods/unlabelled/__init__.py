"""Objectives that let unlabelled pictures teach the generator."""
