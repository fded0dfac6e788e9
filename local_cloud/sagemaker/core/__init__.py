"""What all rooms of the service use: state and clients, shapes, errors, events, accounts. It imports no other room."""
