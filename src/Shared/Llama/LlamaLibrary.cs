using System.Reflection;
using System.Runtime.InteropServices;
using TokenMill.Shared.Domain;

namespace TokenMill.Shared.Llama;

/// <summary>
/// Finds llama.cpp's shared libraries in <see cref="Installation.Llama"/> and binds the names used in
/// <c>LibraryImport</c> declarations ("llama", "ggml", "ggml-base") to them. Call <see cref="Load"/> before the first native call.
/// </summary>
public static partial class LlamaLibrary
{
    /// <summary>The version whose structs and functions are declared here; the file names carry it.</summary>
    public const string Version = "v0.5.0";

    private static readonly Lock Gate = new();
    private static readonly Dictionary<string, nint> Handles = [];

    public static string FolderPath => Installation.Llama;

    /// <summary>Loads the libraries once per process.</summary>
    /// <exception cref="RefusedException">llama-missing: a library is not there or cannot be loaded.</exception>
    public static void Load()
    {
        lock (Gate)
        {
            if (Handles.Count > 0) return;
            // ggml reads this when it is loaded: a failed assertion must not fork a debugger. .NET's own setter does not reach native getenv.
            _ = setenv("GGML_NO_BACKTRACE", "1", 0);
            // In the order of their dependencies, so that each finds the ones before it already there.
            var loaded = new Dictionary<string, nint>
            {
                ["ggml-base"] = LoadFile("libggml-base.so"),
                ["ggml"] = LoadFile($"libggml.{Version}.so"),
                ["llama"] = LoadFile($"libllama.{Version}.so"),
            };
            foreach (var (name, handle) in loaded) Handles[name] = handle;
            NativeLibrary.SetDllImportResolver(typeof(LlamaLibrary).Assembly, Resolve);
            LlamaLog.Install();
        }
    }

    /// <summary>Lets the declarations of another assembly find the same libraries.</summary>
    public static void LoadFor(Assembly assembly)
    {
        Load();
        NativeLibrary.SetDllImportResolver(assembly, Resolve);
    }

    private static nint Resolve(string name, Assembly assembly, DllImportSearchPath? searchPath) => Handles.GetValueOrDefault(name);

    private static nint LoadFile(string name)
    {
        var path = Path.Combine(FolderPath, name);
        try
        {
            return NativeLibrary.Load(path);
        }
        catch (DllNotFoundException e)
        {
            var why = File.Exists(path) ? e.Message.ReplaceLineEndings(" ") : $"{path} does not exist";
            throw new RefusedException(new Error("llama-missing", $"llama.cpp's libraries cannot be loaded: {why}", "type ./run setup once, or set TOKENMILL_NATIVE to the folder that holds llama/"), e);
        }
    }

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int setenv(string name, string value, int overwrite);
}
