using Microsoft.AspNetCore.Components.Forms;
using TokenMill.Shared.Domain;
using TokenMill.Web.Hosting;

namespace TokenMill.Web.Components.Upload;

/// <summary>Streams what a browser sends into a file of the platform's own naming. What is given up half way is deleted.</summary>
public sealed class UploadStore(DataDirectory data)
{
    private const int BufferBytes = 1 << 18;

    /// <returns>Path of the upload; whoever takes it deletes it.</returns>
    public async Task<string> ReceiveAsync(IBrowserFile file, long maxBytes, Action<long> received, CancellationToken cancellationToken)
    {
        if (file.Size > maxBytes) throw new RefusedException("file-too-large", $"The file has {file.Size >> 20} MiB; the limit here is {maxBytes >> 20} MiB", "split it, or compress it with gzip");
        data.RequireSpace(file.Size);
        var path = Path.Combine(data.Uploads, Guid.NewGuid().ToString("N"));
        try
        {
            await using var source = file.OpenReadStream(maxBytes, cancellationToken);
            await using var target = new FileStream(path, FileMode.CreateNew, FileAccess.Write, FileShare.None, BufferBytes);
            var buffer = new byte[BufferBytes];
            for (var total = 0L; await source.ReadAsync(buffer, cancellationToken) is > 0 and var count;)
            {
                await target.WriteAsync(buffer.AsMemory(0, count), cancellationToken);
                received(total += count);
            }
            return path;
        }
        catch
        {
            File.Delete(path);
            throw;
        }
    }
}
