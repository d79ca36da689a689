using System.Runtime.InteropServices;
using TokenMill.Training.Torch.Native;
using static TokenMill.Training.Torch.Native.TorchLibrary;

namespace TokenMill.Training.Torch;

/// <summary>ATen operators by name, with autograd. The names and arguments are those of PyTorch's native_functions.yaml.</summary>
public static unsafe class Operators
{
    /// <summary>Rows of a table: (rows, width) and (n) ids → (n, width).</summary>
    public static Tensor Embedding(Tensor table, Tensor ids) => Call("aten::embedding", "", table, ids, -1L, false, false);

    /// <summary>Rows of x by index: (rows, width) and (n) → (n, width).</summary>
    public static Tensor SelectRows(Tensor x, Tensor rows) => Call("aten::index_select", "", x, 0L, rows);

    public static Tensor Convert(Tensor x, TensorType type) => Call("aten::to", "dtype", x, type, false, false, null);

    public static Tensor Add(Tensor x, Tensor y) => Call("aten::add", "Tensor", x, y, 1L);

    public static Tensor Multiply(Tensor x, Tensor y) => Call("aten::mul", "Tensor", x, y);

    /// <summary>factor·x; x itself where the factor is 1.</summary>
    public static Tensor Scale(Tensor x, float factor) => factor == 1 ? x : Call("aten::mul", "Scalar", x, (double)factor);

    /// <summary>(rows, width) → (rows, count).</summary>
    public static Tensor Columns(Tensor x, long first, long count) => Call("aten::narrow", "", x, 1L, first, count);

    /// <summary>Tensors of as many rows beside each other.</summary>
    public static Tensor JoinColumns(params Tensor[] parts) => Call("aten::cat", "", parts, 1L);

    public static Tensor Divide(Tensor x, Tensor y) => Call("aten::div", "Tensor", x, y);

    /// <summary>Vectors behind each other.</summary>
    public static Tensor Concatenate(params Tensor[] parts) => Call("aten::cat", "", parts, 0L);

    public static Tensor Sum(Tensor x) => Call("aten::sum", "", x, null);

    public static Tensor MatrixProduct(Tensor x, Tensor y) => Call("aten::mm", "", x, y);

    public static Tensor Transpose(Tensor x) => Call("aten::t", "", x);

    /// <summary>
    /// Calls any operator that gives one tensor. Arguments: Tensor, long, double, bool, TensorType, long[], Tensor[] or null.
    /// </summary>
    public static Tensor Call(string name, string overload, params ReadOnlySpan<object?> arguments)
    {
        TorchLibrary.Require();
        var values = stackalloc Value[arguments.Length];
        var pinned = new List<GCHandle>();
        try
        {
            for (var i = 0; i < arguments.Length; i++) values[i] = Border(arguments[i], pinned);
            Value result;
            Check(tm_call(name, overload, values, arguments.Length, &result, 1, out var count));
            if (count != 1 || result.Kind != TensorKind) throw new TorchException($"{name} does not give one tensor");
            var handle = new TensorHandle();
            Marshal.InitHandle(handle, (nint)result.Pointer);
            return new Tensor(handle);
        }
        finally
        {
            foreach (var handle in pinned) handle.Free();
            foreach (var argument in arguments) GC.KeepAlive(argument);
        }
    }

    private const int TensorKind = 1;

    private static Value Border(object? argument, List<GCHandle> pinned)
    {
        void* Pin(object array)
        {
            var handle = GCHandle.Alloc(array, GCHandleType.Pinned);
            pinned.Add(handle);
            return (void*)handle.AddrOfPinnedObject();
        }
        return argument switch
        {
            null => default,
            Tensor tensor => new() { Kind = TensorKind, Pointer = (void*)tensor.Handle.DangerousGetHandle() },
            long integer => new() { Kind = 2, Integer = integer },
            double real => new() { Kind = 3, Real = real },
            bool flag => new() { Kind = 4, Integer = flag ? 1 : 0 },
            long[] integers => new() { Kind = 5, Count = integers.Length, Pointer = Pin(integers) },
            Tensor[] tensors => new() { Kind = 6, Count = tensors.Length, Pointer = Pin(tensors.Select(t => t.Handle.DangerousGetHandle()).ToArray()) },
            TensorType type => new() { Kind = 7, Integer = (long)type },
            _ => throw new ArgumentException($"an argument of type {argument.GetType().Name} does not cross the border"),
        };
    }
}
