using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using TokenMill.Shared.Llama.Native;

namespace TokenMill.Shared.Llama;

/// <summary>
/// llama.cpp's log. Nothing of it is printed (it would mix with our own output, and may hold prompts);
/// what the calling thread's last operation reported as an error is kept, to say why a load failed.
/// </summary>
public static unsafe class LlamaLog
{
    private const int ErrorLevel = 4, ContinuationLevel = 5, KeptCharacters = 2_000;

    [ThreadStatic] private static StringBuilder? _errors;
    [ThreadStatic] private static bool _inError;

    internal static void Install() => LlamaNative.llama_log_set(&Receive, 0);

    /// <summary>Forgets what this thread has heard so far.</summary>
    public static void Clear() => _errors?.Clear();

    /// <summary>What llama.cpp has reported as errors on this thread since <see cref="Clear"/>, on one line.</summary>
    public static string Errors() => (_errors?.ToString() ?? "").Trim().ReplaceLineEndings(" ");

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void Receive(int level, byte* text, nint userData)
    {
        if (level != ContinuationLevel) _inError = level == ErrorLevel;
        if (!_inError || text is null) return;
        _errors ??= new StringBuilder();
        if (_errors.Length < KeptCharacters) _errors.Append(Marshal.PtrToStringUTF8((nint)text));
    }
}
