using System.Runtime.InteropServices;

namespace TokenMill.Serving.Llama.Native;

/// <summary>llama_batch of llama.h v0.5.0; passed by value, its arrays belong to llama_batch_init.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct LlamaBatch
{
    public int n_tokens;
    public int* token;
    public float* embd;
    public int* pos;
    public int* n_seq_id;
    public int** seq_id;
    public sbyte* logits;
}
