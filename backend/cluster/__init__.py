"""Batches on a Ray cluster. Scheduling, transport and membership are Ray's; here is what a task is and what it needs.

connect    reaching a cluster, and refusing one that cannot do
shares     how much of a node a task takes: arithmetic, without Ray
weights    the files that a texture is made from, put where every node can fetch them once
executor   the textures of a batch as tasks (an `Executor` of textures.making)
adapting   styles as tasks
node       what runs on the nodes
"""
