import * as Y from "yjs";
console.log(new Y.Doc().clientID);
