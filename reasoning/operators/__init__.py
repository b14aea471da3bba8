"""What questions ask for beyond a search: order, what is beside a moment, ends, what happened."""
