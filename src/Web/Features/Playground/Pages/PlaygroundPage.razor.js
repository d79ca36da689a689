// Takes the tokens of answers that are being made from the chat hub and appends them as they come. The server keeps the answer:
// after a reload or a lost connection it is attached to again at the offset this browser has, so nothing is missing or doubled.
let connection;
const followed = new Map();                    // generation id → the element and the text node it goes to

export async function show(turns, clientPath, hubPath) {
  for (const [id, { element }] of followed) if (!element.isConnected) release(id);
  for (const element of turns.querySelectorAll('[data-generation]')) {
    const id = element.dataset.generation;
    if (followed.has(id)) continue;
    const text = element.appendChild(document.createTextNode(''));
    followed.set(id, { element, text });
    attach(id, await connected(clientPath, hubPath));
  }
}

export function leave() {
  for (const id of [...followed.keys()]) release(id);
  connection?.then(hub => hub.stop());
  connection = undefined;
}

function release(id) {
  followed.get(id)?.stream?.dispose();
  followed.delete(id);
}

function attach(id, hub) {
  const answer = followed.get(id);
  if (!answer) return;
  answer.stream = hub.stream('Attach', id, answer.text.length).subscribe({
    next: update => {
      if (!update.text) return;
      const scroller = document.scrollingElement;
      const atEnd = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 80;
      answer.text.appendData(update.text);
      if (atEnd) scroller.scrollTop = scroller.scrollHeight;
    },
    complete: () => {},                         // the page replaces this element by the finished answer
    error: () => {},                            // the connection is gone; onreconnected attaches again
  });
}

function connected(clientPath, hubPath) {
  return connection ??= (async () => {
    if (!window.signalR) await load(clientPath);
    const hub = new signalR.HubConnectionBuilder().withUrl(hubPath)
      .withAutomaticReconnect({ nextRetryDelayInMilliseconds: context => Math.min(500 * 2 ** context.previousRetryCount, 10000) })
      .configureLogging(signalR.LogLevel.None).build();
    hub.onreconnected(() => { for (const id of followed.keys()) attach(id, hub); });
    await hub.start();
    return hub;
  })();
}

function load(path) {
  return new Promise((resolve, reject) => {
    const script = document.createElement('script');
    script.src = path;
    script.onload = resolve;
    script.onerror = () => reject(new Error(`${path} is missing: ./run setup fetches it`));
    document.head.append(script);
  });
}
