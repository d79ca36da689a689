using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.Components.Forms;
using TokenMill.Shared.Domain;

namespace TokenMill.Web.Components.Upload;

/// <summary>A place to drop one file, or to choose it; shows how far it is and what went wrong.</summary>
public sealed partial class DropZone : IAsyncDisposable
{
    private static readonly TimeSpan RenderInterval = TimeSpan.FromMilliseconds(250);

    private readonly CancellationTokenSource _gone = new();
    private CancellationTokenSource? _upload;
    private string _name = "";
    private double? _share;
    private Error? _error;

    [Inject] private UploadStore Uploads { get; set; } = default!;
    [Inject] private TimeProvider Time { get; set; } = default!;

    [Parameter, EditorRequired] public string Title { get; set; } = "";
    [Parameter, EditorRequired] public string Help { get; set; } = "";
    [Parameter] public string Accept { get; set; } = "";
    [Parameter] public long MaxBytes { get; set; } = 4L << 30;

    /// <summary>Takes the upload (its name, its path) and answers what is wrong with it, or null.</summary>
    [Parameter, EditorRequired] public Func<string, string, Task<Error?>> Received { get; set; } = default!;

    private async Task ReceiveAsync(InputFileChangeEventArgs e)
    {
        (_name, _share, _error) = (e.File.Name, 0, null);
        _upload = CancellationTokenSource.CreateLinkedTokenSource(_gone.Token);
        var rendered = Time.GetTimestamp();
        try
        {
            var path = await Uploads.ReceiveAsync(e.File, MaxBytes, bytes =>
            {
                _share = e.File.Size == 0 ? 1 : (double)bytes / e.File.Size;
                if (Time.GetElapsedTime(rendered) < RenderInterval) return;
                rendered = Time.GetTimestamp();
                StateHasChanged();
            }, _upload.Token);
            _error = await Received(e.File.Name, path);
        }
        catch (RefusedException refused)
        {
            _error = refused.Error;
        }
        catch (IOException fault)
        {
            _error = new Error("upload-failed", $"The upload broke off: {fault.Message}", "try again");
        }
        catch (OperationCanceledException) when (_upload.IsCancellationRequested)
        {
            // The reader gave it up.
        }
        finally
        {
            _share = null;
            _upload.Dispose();
            _upload = null;
        }
    }

    private void Cancel() => _upload?.Cancel();

    public async ValueTask DisposeAsync()
    {
        await _gone.CancelAsync();
        _gone.Dispose();
    }
}
