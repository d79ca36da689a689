using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using TokenMill.Shared;

namespace TokenMill.Training.Import;

/// <summary>
/// A model as the GGUF file that everything here works on. A Hugging Face folder is imported into the user's cache the first
/// time; the file there is named after the folder's files, their sizes and times, so that a changed folder is imported anew.
/// </summary>
public static class ImportedModel
{
    private static readonly TimeSpan KeptUnused = TimeSpan.FromDays(30);

    /// <summary>The path itself if it is no folder.</summary>
    /// <exception cref="Shared.Domain.RefusedException">The folder is broken, hostile or not supported.</exception>
    public static string PathOf(string model, CancellationToken cancellationToken)
    {
        if (!Directory.Exists(model)) return model;
        var folder = Path.Combine(Installation.Cache, "imported");
        var path = Path.Combine(folder, $"{Fingerprint(model)}.gguf");
        Directory.CreateDirectory(folder);
        if (!File.Exists(path)) ModelImport.Run(model, path, null, cancellationToken);
        var now = TimeProvider.System.GetUtcNow().UtcDateTime;
        File.SetLastWriteTimeUtc(path, now);
        foreach (var file in new DirectoryInfo(folder).EnumerateFiles())
            if (now - file.LastWriteTimeUtc > KeptUnused) file.Delete();
        return path;
    }

    // The trainer's own build counts: it may convert otherwise than the last one did.
    private static string Fingerprint(string model)
    {
        var text = new StringBuilder(typeof(ImportedModel).Module.ModuleVersionId.ToString()).Append(Path.GetFullPath(model)).Append('\n');
        foreach (var file in new DirectoryInfo(model).EnumerateFiles().OrderBy(f => f.Name, StringComparer.Ordinal))
            text.Append(CultureInfo.InvariantCulture, $"{file.Name}\0{file.Length}\0{file.LastWriteTimeUtc.Ticks}\n");
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text.ToString())))[..32];
    }
}
