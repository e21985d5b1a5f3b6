// Every declaration the package ships is checked with this project: skipLibCheck is off.
export * from 'authtuna';
export { remote } from 'authtuna/remote';
