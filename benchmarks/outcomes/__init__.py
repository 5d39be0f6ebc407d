"""What ``fitwell cure`` reaches on given grounds, each with the goal that it is held against."""
