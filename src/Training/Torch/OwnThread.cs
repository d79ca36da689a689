namespace TokenMill.Training.Torch;

/// <summary>Training stays on one thread: OpenMP keeps its threads and their number for each thread that calls it.</summary>
internal static class OwnThread
{
    public static Task<T> Run<T>(string name, Func<T> work)
    {
        var ended = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        new Thread(() =>
        {
            try
            {
                ended.SetResult(work());
            }
            catch (Exception e)
            {
                ended.SetException(e);
            }
        }) { Name = name }.Start();
        return ended.Task;
    }
}
