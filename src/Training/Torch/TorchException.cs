namespace TokenMill.Training.Torch;

/// <summary>libtorch or a kernel refused what it was asked: a bug on this side of the border, or memory that is used up.</summary>
public sealed class TorchException(string message) : Exception(message)
{
    public bool IsOutOfMemory => Message.Contains("not enough memory", StringComparison.OrdinalIgnoreCase) || Message.Contains("bad_alloc", StringComparison.Ordinal)
        || Message.Contains("could not create a memory", StringComparison.Ordinal) || Message.Contains("out of memory", StringComparison.OrdinalIgnoreCase) || Message.Contains("ALLOC_FAILED", StringComparison.Ordinal);
}
