using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace TokenMill.Serving.Llama.Native;

/// <summary>ggml_threadpool_params of ggml.h v0.25.1.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct GgmlThreadpoolParams
{
    public CpuMask cpumask;
    public int n_threads;
    public int prio;
    public uint poll;
    public byte strict_cpu;
    public byte paused;

    /// <summary>bool[512]; all zero leaves the choice to the system.</summary>
    [InlineArray(512)]
    public struct CpuMask
    {
        private byte _first;
    }
}
