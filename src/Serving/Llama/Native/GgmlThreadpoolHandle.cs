using System.Runtime.InteropServices;

namespace TokenMill.Serving.Llama.Native;

/// <summary>
/// Owns a ggml_threadpool*. Its functions live in the CPU plugin and are asked for by name.
/// Without an attached pool ggml starts and ends its threads with every graph.
/// </summary>
internal sealed unsafe class GgmlThreadpoolHandle : SafeHandle
{
    private const int CpuDevice = 0;
    private static int _live;
    private readonly delegate* unmanaged[Cdecl]<nint, void> _free;

    public GgmlThreadpoolHandle(int threads) : base(0, ownsHandle: true)
    {
        var plugin = EngineNative.ggml_backend_dev_backend_reg(EngineNative.ggml_backend_dev_by_type(CpuDevice));
        var create = (delegate* unmanaged[Cdecl]<GgmlThreadpoolParams*, nint>)Function(plugin, "ggml_threadpool_new");
        _free = (delegate* unmanaged[Cdecl]<nint, void>)Function(plugin, "ggml_threadpool_free");
        var parameters = EngineNative.ggml_threadpool_params_default(threads);
        parameters.poll = 0;                                   // between steps the cores belong to others
        SetHandle(create(&parameters));
        if (IsInvalid) throw new InvalidOperationException($"ggml made no pool of {threads} threads");
        Interlocked.Increment(ref _live);
    }

    public static int Live => _live;

    public override bool IsInvalid => handle == 0;

    protected override bool ReleaseHandle()
    {
        _free(handle);
        Interlocked.Decrement(ref _live);
        return true;
    }

    private static nint Function(nint plugin, string name)
    {
        var address = EngineNative.ggml_backend_reg_get_proc_address(plugin, name);
        return address != 0 ? address : throw new InvalidOperationException($"the CPU plugin has no {name}");
    }
}
