using System.Runtime.InteropServices;
using TokenMill.Shared.Llama.Native;

namespace TokenMill.Shared.Tests.Llama;

/// <summary>Structs that cross the native border by value have the sizes and offsets that llama.h v0.5.0 gives them.</summary>
public sealed class NativeLayoutTests
{
    [Fact]
    public void Structs_HaveTheNativeLayout()
    {
        Assert.Equal(80, Marshal.SizeOf<LlamaModelParams>());
        Assert.Equal(72, Marshal.OffsetOf<LlamaModelParams>(nameof(LlamaModelParams.vocab_only)));
        Assert.Equal(64, Marshal.SizeOf<LlamaModelQuantizeParams>());
        Assert.Equal(16, Marshal.OffsetOf<LlamaModelQuantizeParams>(nameof(LlamaModelQuantizeParams.allow_requantize)));
        Assert.Equal(24, Marshal.OffsetOf<LlamaModelQuantizeParams>(nameof(LlamaModelQuantizeParams.imatrix)));
        Assert.Equal(56, Marshal.OffsetOf<LlamaModelQuantizeParams>(nameof(LlamaModelQuantizeParams.max_buf_size)));
    }
}
