namespace TokenMill.Training.Torch;

/// <summary>
/// Frees the tensors made on this thread while it is open, innermost first. What autograd still needs lives on inside the
/// graph: a handle is only our name for it.
/// </summary>
public sealed class TensorScope : IDisposable
{
    [ThreadStatic] private static TensorScope? t_current;

    private readonly TensorScope? _outer = t_current;
    private readonly List<Tensor> _tensors = [];

    public TensorScope() => t_current = this;

    internal static void Add(Tensor tensor) => t_current?._tensors.Add(tensor);

    /// <summary>Hands a tensor over to the scope around this one, or to the caller where there is none.</summary>
    public Tensor Keep(Tensor tensor)
    {
        if (_tensors.Remove(tensor)) _outer?._tensors.Add(tensor);
        return tensor;
    }

    /// <summary>Makes something that no scope frees.</summary>
    public static T Detached<T>(Func<T> make)
    {
        var current = t_current;
        t_current = null;
        try
        {
            return make();
        }
        finally
        {
            t_current = current;
        }
    }

    public void Dispose()
    {
        t_current = _outer;
        foreach (var tensor in _tensors) tensor.Dispose();
        _tensors.Clear();
    }
}
