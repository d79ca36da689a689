using System.Reflection;
using System.Runtime.InteropServices;
using TokenMill.Shared;
using TokenMill.Shared.Domain;

namespace TokenMill.Training.Torch.Native;

/// <summary>Functions of Shim.h, which says what each does. They return 0, or −1 with the reason in <see cref="tm_error"/>.</summary>
internal static unsafe partial class TorchLibrary
{
    private const string Name = "tokenmill_torch";

    /// <summary>OpenMP's threads wait this many turns before they sleep. The default spins for a whole time slice, which on shared cores keeps the other thread from its work.</summary>
    private const string SpinCount = "2000";

    private static readonly Lazy<nint> Library = new(Load);

    static TorchLibrary() => NativeLibrary.SetDllImportResolver(Assembly.GetExecutingAssembly(), (name, assembly, path) => name == Name ? Library.Value : NativeLibrary.Load(name, assembly, path));

    public static string LibraryPath => Path.Combine(Installation.Native, "torch", "libtokenmill_torch.so");

    /// <exception cref="RefusedException">libtorch or the binding to it is not there.</exception>
    public static void Require() => _ = Library.Value;

    public static void Check(int status)
    {
        if (status == 0) return;
        var reason = Marshal.PtrToStringUTF8((nint)tm_error()) ?? "libtorch gave no reason";
        throw reason == "interrupted" ? new OperationCanceledException(reason) : new TorchException(reason);
    }

    private static nint Load()
    {
        const string remedy = "install libtorch-dev, libdnnl-dev, libopenblas0-pthread and g++ (./run prints the command), then start ./run once more";
        if (!File.Exists(LibraryPath)) throw new RefusedException("libtorch-missing", $"fine-tuning needs libtorch, and the binding to it has not been built ({LibraryPath})", remedy);
        setenv("GOMP_SPINCOUNT", SpinCount, 0);
        try
        {
            return NativeLibrary.Load(LibraryPath);
        }
        catch (DllNotFoundException e)
        {
            throw new RefusedException(new Error("libtorch-missing", $"fine-tuning needs libtorch, which cannot be loaded: {e.Message.ReplaceLineEndings(" ")}", remedy), e);
        }
    }

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int setenv(string name, string value, int overwrite);

    [LibraryImport(Name)] public static partial byte* tm_error();
    [LibraryImport(Name)] public static partial int tm_info(out byte* kernels, out byte* torch, out int hasBFloat16, out int hasFastBFloat16);
    [LibraryImport(Name, StringMarshalling = StringMarshalling.Utf8)] public static partial int tm_use_kernels(string level);
    [LibraryImport(Name)] public static partial int tm_gpus(out int supported, out int count);
    [LibraryImport(Name)] public static partial int tm_use_device(int gpu);
    [LibraryImport(Name)] public static partial long tm_peak_device_memory();
    [LibraryImport(Name)] public static partial int tm_threads(int count);
    [LibraryImport(Name)] public static partial long tm_live_handles();
    [LibraryImport(Name)] public static partial long tm_peak_memory(int restart);
    [LibraryImport(Name)] public static partial void tm_interrupt(int interrupted);

    [LibraryImport(Name)] public static partial int tm_tensor_new(void* data, int dtype, long* shape, int rank, out TensorHandle tensor);
    [LibraryImport(Name)] public static partial void tm_tensor_free(nint tensor);
    [LibraryImport(Name)] public static partial int tm_tensor_shape(TensorHandle tensor, out int dtype, out int rank, long* shape8);
    [LibraryImport(Name)] public static partial int tm_tensor_read(TensorHandle tensor, void* to, long bytes);
    [LibraryImport(Name)] public static partial int tm_tensor_write(TensorHandle tensor, void* from, long bytes);
    [LibraryImport(Name)] public static partial int tm_require_grad(TensorHandle tensor);
    [LibraryImport(Name)] public static partial int tm_grad(TensorHandle tensor, out TensorHandle gradient);
    [LibraryImport(Name)] public static partial int tm_clear_grad(TensorHandle tensor);
    [LibraryImport(Name)] public static partial int tm_backward(TensorHandle output, TensorHandle gradient);
    [LibraryImport(Name)] public static partial int tm_grad_mode(int enabled);
    [LibraryImport(Name, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int tm_call(string name, string overload, Value* arguments, int count, Value* results, int capacity, out int resultCount);

    [LibraryImport(Name)] public static partial int tm_weight_new(long outputs, long inputs, int dtype, int backward, out WeightHandle weight);
    [LibraryImport(Name)] public static partial int tm_weight_stored(long outputs, long inputs, int dtype, delegate* unmanaged<nint, long, long, float*, int> expand, nint owner, out WeightHandle weight);
    [LibraryImport(Name)] public static partial void tm_weight_free(nint weight);
    [LibraryImport(Name)] public static partial int tm_weight_source(WeightHandle weight, out float* source);
    [LibraryImport(Name)] public static partial int tm_weight_pack(WeightHandle weight);
    [LibraryImport(Name)] public static partial int tm_weight_repack(WeightHandle weight, TensorHandle master);

    [LibraryImport(Name)] public static partial int tm_rms_norm(TensorHandle x, nint delta, TensorHandle weight, float epsilon, int dtype, out TensorHandle sum, out TensorHandle output);
    [LibraryImport(Name)] public static partial int tm_head_norm(TensorHandle qkv, TensorHandle queryWeight, TensorHandle keyWeight, long heads, long kvHeads, float epsilon, out TensorHandle output);
    [LibraryImport(Name)] public static partial int tm_linear(TensorHandle x, WeightHandle weight, nint master, nint bias, LoraPart* adapters, int count, float dropout, ulong seed, out TensorHandle output);
    [LibraryImport(Name)] public static partial int tm_scale_outputs(TensorHandle x, TensorHandle factor, nint bias, out TensorHandle output);
    [LibraryImport(Name)] public static partial int tm_gated_unit(TensorHandle gateUp, int activation, out TensorHandle output);
    [LibraryImport(Name)] public static partial int tm_attention(TensorHandle qkv, long heads, long kvHeads, long* starts, int segments, in AttentionOptions options, out TensorHandle output);
    [LibraryImport(Name)] public static partial int tm_attention_cached(TensorHandle qkv, long heads, long kvHeads, TensorHandle cache, long past, in AttentionOptions options, out TensorHandle output);
    [LibraryImport(Name)] public static partial int tm_head_loss(TensorHandle hidden, WeightHandle head, nint master, long* targets, float smoothing, float softcap, out TensorHandle losses, double* lossValues, double* likelihoods, byte* correct);
    [LibraryImport(Name)] public static partial int tm_logits(TensorHandle hidden, WeightHandle head, float softcap, out TensorHandle output);

    [LibraryImport(Name)] public static partial int tm_repeated(TensorHandle x, nint delta, TensorHandle sum, TensorHandle output, delegate* unmanaged<nint, nint, nint, nint*, nint*, int> repeat, delegate* unmanaged<nint, void> release, nint owner, out TensorHandle sumMarked, out TensorHandle outputMarked);

    [LibraryImport(Name)] public static partial int tm_sum_of_squares(TensorHandle values, out double sum);
    [LibraryImport(Name)] public static partial int tm_adamw(TensorHandle parameter, TensorHandle gradient, TensorHandle mean, TensorHandle square, double learningRate, double beta1, double beta2, double epsilon, double weightDecay, double gradScale, long step);

    [LibraryImport(Name)] public static partial int tm_adamw8bit(TensorHandle parameter, TensorHandle gradient, TensorHandle mean, TensorHandle meanScale, TensorHandle root, TensorHandle rootScale, double learningRate, double beta1, double beta2, double epsilon, double weightDecay, double gradScale, long step, ulong seed);

    /// <summary>tm_value</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct Value
    {
        public int Kind;
        public int Count;
        public long Integer;
        public double Real;
        public void* Pointer;
    }

    /// <summary>tm_attention_options</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct AttentionOptions
    {
        public float Scale;
        public float Softcap;
        public long Window;
        public nint Cosine;
        public nint Sine;
        public nint LongCosine;
        public nint LongSine;
        public long ShortPositions;
    }

    /// <summary>tm_lora</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct LoraPart
    {
        public nint A;
        public nint B;
        public long First;
        public long Rows;
        public float Scale;
    }
}
