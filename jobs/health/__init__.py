"""The health of machines, as ``landmarks doctor`` sees it: one, what all of them share, and a cluster of them."""
