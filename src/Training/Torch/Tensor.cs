using System.Runtime.InteropServices;
using TokenMill.Training.Torch.Native;
using static TokenMill.Training.Torch.Native.TorchLibrary;

namespace TokenMill.Training.Torch;

/// <summary>
/// An at::Tensor on the device in use (<see cref="TorchDevice"/>), row-major. Made inside a <see cref="TensorScope"/> it is freed with it unless kept;
/// made outside it belongs to whoever made it.
/// </summary>
public sealed unsafe class Tensor : IDisposable
{
    internal Tensor(TensorHandle handle)
    {
        Handle = handle;
        TensorScope.Add(this);
    }

    internal TensorHandle Handle { get; }

    /// <summary>The raw handle of an argument that may be absent. The caller keeps the tensor alive during the call.</summary>
    internal static nint OrNull(Tensor? tensor) => tensor?.Handle.DangerousGetHandle() ?? 0;

    public static Tensor From(ReadOnlySpan<float> values, params ReadOnlySpan<long> shape) => Make(MemoryMarshal.AsBytes(values), TensorType.Float32, shape);

    public static Tensor From(ReadOnlySpan<long> values, params ReadOnlySpan<long> shape) => Make(MemoryMarshal.AsBytes(values), TensorType.Int64, shape);

    public static Tensor Zeros(TensorType type, params ReadOnlySpan<long> shape)
    {
        fixed (long* sizes = shape)
        {
            Check(tm_tensor_new(null, (int)type, sizes, shape.Length, out var handle));
            return new Tensor(handle);
        }
    }

    public TensorType Type => Describe().Type;

    public long[] Shape => Describe().Shape;

    public long Count => Shape.Aggregate(1L, (product, size) => product * size);

    public float[] ToFloats()
    {
        using var converted = Type == TensorType.Float32 ? null : TensorScope.Detached(() => Operators.Convert(this, TensorType.Float32));
        var values = new float[Count];
        (converted ?? this).Read(MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }

    public void Read(Span<byte> target)
    {
        fixed (byte* to = target) Check(tm_tensor_read(Handle, to, target.Length));
    }

    /// <summary>Overwrites the values in place, without autograd noticing.</summary>
    public void Write(ReadOnlySpan<byte> source)
    {
        fixed (byte* from = source) Check(tm_tensor_write(Handle, from, source.Length));
    }

    /// <summary>Makes this a parameter: <see cref="Backward"/> gives it a gradient.</summary>
    public Tensor RequireGradient()
    {
        Check(tm_require_grad(Handle));
        return this;
    }

    /// <summary>The gradient accumulated so far, sharing its memory; null before the first backward pass.</summary>
    public Tensor? Gradient()
    {
        Check(tm_grad(Handle, out var gradient));
        return gradient.IsInvalid ? null : new Tensor(gradient);
    }

    public void ClearGradient() => Check(tm_clear_grad(Handle));

    /// <summary>Adds the gradients of Σ slopeᵢ·thisᵢ to every parameter it depends on.</summary>
    public void Backward(params ReadOnlySpan<float> slopes)
    {
        using var gradient = From(slopes, Shape);
        Check(tm_backward(Handle, gradient.Handle));
    }

    public void Dispose() => Handle.Dispose();

    private static Tensor Make(ReadOnlySpan<byte> data, TensorType type, ReadOnlySpan<long> shape)
    {
        var count = 1L;
        foreach (var size in shape) count *= size;
        if (count * type.SizeBytes() != data.Length) throw new ArgumentException($"{data.Length} bytes are not a tensor of {count} values", nameof(data));
        fixed (byte* from = data)
        fixed (long* sizes = shape)
        {
            Check(tm_tensor_new(from, (int)type, sizes, shape.Length, out var handle));
            return new Tensor(handle);
        }
    }

    private (TensorType Type, long[] Shape) Describe()
    {
        Span<long> shape = stackalloc long[8];
        fixed (long* sizes = shape)
        {
            Check(tm_tensor_shape(Handle, out var type, out var rank, sizes));
            return ((TensorType)type, shape[..rank].ToArray());
        }
    }
}
