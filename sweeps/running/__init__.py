"""One sweep from its options to its report: drafts of the plan, rounds of training, looks, the end."""
