"""The parts of a run on a Ray cluster: sessions, boards, fleets, elastic training."""
