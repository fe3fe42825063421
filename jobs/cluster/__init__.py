"""What drivers and workers on a Ray cluster share: sessions, boards, fleets, elastic training."""
