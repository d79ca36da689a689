// Every test here uses all cores, counts native handles or switches kernels: one after the other.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
