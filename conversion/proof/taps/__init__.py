"""What a file computes and holds of each layer: outputs by their values, weights by topology."""
