using System.Runtime.InteropServices;

namespace TokenMill.Shared.Llama.Native;

/// <summary>The part of llama.h v0.5.0 that a vocabulary needs; functions keep their C names. See github.com/ggml-org/llama.cpp, include/llama.h.</summary>
internal static unsafe partial class LlamaNative
{
    [LibraryImport("llama")]
    internal static partial void llama_log_set(delegate* unmanaged[Cdecl]<int, byte*, nint, void> callback, nint user_data);

    [LibraryImport("llama")]
    internal static partial LlamaModelParams llama_model_default_params();

    [LibraryImport("llama", StringMarshalling = StringMarshalling.Utf8)]
    internal static partial nint llama_model_load_from_file(string path_model, LlamaModelParams parameters);

    [LibraryImport("llama")]
    internal static partial void llama_model_free(nint model);

    [LibraryImport("llama")]
    internal static partial LlamaModelQuantizeParams llama_model_quantize_default_params();

    /// <summary>0 = written.</summary>
    [LibraryImport("llama", StringMarshalling = StringMarshalling.Utf8)]
    internal static partial uint llama_model_quantize(string fname_inp, string fname_out, in LlamaModelQuantizeParams parameters);

    /// <summary>Borrowed from the model: valid as long as that is.</summary>
    [LibraryImport("llama")]
    internal static partial nint llama_model_get_vocab(LlamaModelHandle model);

    [LibraryImport("llama", StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int llama_model_meta_val_str(LlamaModelHandle model, string key, byte* buf, nuint buf_size);

    [LibraryImport("llama")]
    internal static partial int llama_vocab_n_tokens(nint vocab);

    [LibraryImport("llama")]
    internal static partial int llama_vocab_bos(nint vocab);

    [LibraryImport("llama")]
    internal static partial int llama_vocab_eos(nint vocab);

    [LibraryImport("llama")]
    internal static partial int llama_vocab_eot(nint vocab);

    [LibraryImport("llama")]
    [return: MarshalAs(UnmanagedType.U1)]
    internal static partial bool llama_vocab_get_add_bos(nint vocab);

    [LibraryImport("llama")]
    [return: MarshalAs(UnmanagedType.U1)]
    internal static partial bool llama_vocab_is_eog(nint vocab, int token);

    [LibraryImport("llama")]
    [return: MarshalAs(UnmanagedType.U1)]
    internal static partial bool llama_vocab_is_control(nint vocab, int token);

    /// <summary>Returns the count of tokens, or minus the count that would have been needed.</summary>
    [LibraryImport("llama")]
    internal static partial int llama_tokenize(nint vocab, byte* text, int text_len, int* tokens, int n_tokens_max,
        [MarshalAs(UnmanagedType.U1)] bool add_special, [MarshalAs(UnmanagedType.U1)] bool parse_special);

    /// <summary>Returns the count of bytes, or minus the count that would have been needed.</summary>
    [LibraryImport("llama")]
    internal static partial int llama_token_to_piece(nint vocab, int token, byte* buf, int length, int lstrip, [MarshalAs(UnmanagedType.U1)] bool special);
}
