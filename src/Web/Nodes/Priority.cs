namespace TokenMill.Web.Nodes;

/// <summary>
/// How much a child gets where cores are short. Linux with autogroups shares cores out between sessions, and each child is one:
/// there <see cref="SessionNice"/> decides; elsewhere the <see cref="Nice"/> of its threads does.
/// The portal comes before all. Trainer and engine are set so that, on two cores, somebody who chats without a pause keeps more than
/// a third of the idle speed and the training more than half of its own (the shared-cores benchmark shows it): the trainer has two
/// threads that wait for each other, the engine one.
/// </summary>
public sealed record Priority(int Nice, int SessionNice)
{
    public static Priority Normal { get; } = new(0, 0);
    public static Priority Training { get; } = new(2, 2);
    public static Priority Serving { get; } = new(3, 10);

    /// <summary>What nobody waits for.</summary>
    public static Priority Background { get; } = new(10, 10);
}
