"""What the kernel does in a second, and what an actor costs, beside others that do the same.

The floor is a bare loop on trio: a deque and a task that parks. The others are pykka's threads and,
where they are installed, Thespian and Xoscar. All are measured in turn, round after round, so that
whatever else the machine does meets each of them alike.

Nothing is imported here: the processes whose memory is measured hold what they need and no more.
"""
