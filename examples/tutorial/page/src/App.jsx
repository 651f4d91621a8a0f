import { useEffect, useState } from 'react';

const query = new URLSearchParams(location.search);
const userId = query.get('user') ?? 'alice';
const BACKEND = query.get('backend') ?? 'localhost:3001';

export default function App() {
  const [notifications, setNotifications] = useState([]);
  const [receiver, setReceiver] = useState('');
  const [message, setMessage] = useState('');

  useEffect(() => {
    const socket = new WebSocket(`ws://${BACKEND}/ws/${userId}`);
    socket.onmessage = event => setNotifications(before => [...before, event.data]);
    return () => socket.close();
  }, []);

  const sendMessage = async () => {
    await fetch(`http://${BACKEND}/send-message`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ sender: userId, receiver, message }),
    });
    setMessage('');
  };

  return (
    <div>
      <h1>Notifications of {userId}</h1>
      <input name="to" placeholder="to" value={receiver} onChange={e => setReceiver(e.target.value)} />
      <input name="text" placeholder="text" value={message} onChange={e => setMessage(e.target.value)} />
      <button onClick={sendMessage}>Send</button>
      <ul>
        {notifications.map((text, index) => (
          <li key={index}>{text}</li>
        ))}
      </ul>
    </div>
  );
}
