using System.Security.Cryptography;
using TokenMill.Shared.Domain;
using TokenMill.Web.Hosting;

namespace TokenMill.Web.Features.Models;

/// <summary>The stored files of model versions.</summary>
public sealed class ModelFiles(DataDirectory data)
{
    /// <summary>Refuses a file that is gone or is not the one that was imported or exported; call before native code loads it.</summary>
    public async Task RequireUnchangedAsync(ModelVersion version, CancellationToken cancellationToken)
    {
        var path = data.Resolve(version.Path);
        if (!File.Exists(path)) throw new RefusedException("model-file-missing", $"{Path.GetFileName(path)} is no longer in the store", "import the model again");
        await using var stream = File.OpenRead(path);
        if (Convert.ToHexStringLower(await SHA256.HashDataAsync(stream, cancellationToken)) != version.Sha256)
            throw new RefusedException("model-file-changed", $"{Path.GetFileName(path)} is not the file that was imported: its SHA-256 differs", "the disk or somebody changed it; import the model again");
    }
}
