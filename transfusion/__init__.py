"""Everything that one trial needs: data, networks, training, results. Never imports Ray."""
